"""The style sheet of every report page."""

from __future__ import annotations

STYLESHEET = """
:root {
  color-scheme: light dark;
  --ink: #1b2330; --soft: #5a6575; --line: #d9dee6; --ground: #ffffff; --panel: #f5f7fa;
  --good: #17693a; --good-ground: #e3f4e9; --bad: #a3231f; --bad-ground: #fbe7e6; --neutral: #3d4a5c;
  --neutral-ground: #e8ecf2; --accent: #1f5fd0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6eaf0; --soft: #a3adbb; --line: #38414e; --ground: #14181f; --panel: #1d232c;
    --good: #86dba6; --good-ground: #14361f; --bad: #ffa9a3; --bad-ground: #451b19; --neutral: #c6cfdb;
    --neutral-ground: #2b3440; --accent: #83aefc;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 1.25rem; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.5rem 0 0.75rem; padding-top: 1.25rem;
  border-top: 1px solid var(--line); }
p { margin: 0 0 0.9rem; max-width: 46rem; }
.callout { max-width: none; padding: 0.9rem 1.1rem; margin: 0 0 1.25rem; background: var(--panel);
  border-left: 4px solid var(--neutral); border-radius: 4px; font-size: 1.08rem; }
.callout.good { border-color: var(--good); background: var(--good-ground); }
.callout.bad { border-color: var(--bad); background: var(--bad-ground); }
.badge { display: inline-block; padding: 0.05rem 0.6rem; border-radius: 1rem; font-size: 0.85rem; font-weight: 600;
  white-space: nowrap; color: var(--neutral); background: var(--neutral-ground); }
.badge.good { color: var(--good); background: var(--good-ground); }
.badge.bad { color: var(--bad); background: var(--bad-ground); }
.tiles { display: grid; gap: 0.75rem; margin: 0 0 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(10.25rem, 1fr)); }
.tiles div { display: flex; flex-direction: column-reverse; justify-content: flex-end; padding: 0.8rem 1rem;
  background: var(--panel); border-radius: 6px; }
.tiles dt { color: var(--soft); font-size: 0.88rem; }
.tiles dd { margin: 0; font-size: 1.25rem; font-weight: 650; white-space: nowrap; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: 0 0 1.1rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.95rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: 0.4rem; }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  padding: 0.42rem 1.4rem 0.42rem 0; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--soft); font-weight: 600; font-size: 0.88rem; border-bottom: 2px solid var(--line);
  vertical-align: bottom; }
tbody th { font-weight: 600; }
.number { text-align: right; }
td.number { white-space: nowrap; }
.facts { width: auto; min-width: min(100%, 30rem); }
.facts th { color: var(--soft); font-weight: 500; padding-right: 2rem; white-space: nowrap; }
.facts td { overflow-wrap: anywhere; }
figure { margin: 0 0 1.25rem; padding: 0.75rem; background: #ffffff; color: #1b2330; border: 1px solid var(--line);
  border-radius: 6px; overflow-x: auto; }
figure svg { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { margin-top: 0.6rem; color: #5a6575; font-size: 0.9rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem;
  align-items: start; }
pre { overflow-x: auto; padding: 0.75rem 1rem; background: var(--panel); border-radius: 6px; font-size: 0.85rem; }
a { color: var(--accent); }
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --ground: #fff; --panel: #fff; }
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  h2, figcaption { break-after: avoid; }
  figure, tr, .callout, .tiles { break-inside: avoid; }
}
"""
