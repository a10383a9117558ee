"""What a training run will take, said before it starts: circuits, jobs, shots, gates, dollars and time.

Nothing is submitted and nothing is simulated but a forecast of the gradient. The circuits are counted with the code
that runs them, so that a plan and a run agree. `docs/plan.md` says what each number means.
"""

from quantum_db.planning.data import PlannedData
from quantum_db.planning.plan import Plan, PlanQuestion, count_training, plan_training

__all__ = ["Plan", "PlanQuestion", "PlannedData", "count_training", "plan_training"]
