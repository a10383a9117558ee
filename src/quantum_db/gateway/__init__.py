"""The circuit gateway: IonQ's API over a queue, a ledger and workers.

`process.run_gateway(options)` is `qstore gateway`. Below it, `api` answers HTTP, `worker` runs circuits or forwards
them to IonQ, and `ledger` is the one database between them. Neither of the first two knows the other.
"""
