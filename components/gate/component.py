"""The evaluation in, one decision out.

This component has exactly one output parameter and nothing else: the local runner of KFP 2.17 reads any other kind of
output in a condition as False, without an error.
"""

from kfp import dsl
from kfp.dsl import Artifact, Input

from components.images import stage_image


@dsl.component(base_image=stage_image("evaluate"), packages_to_install=[], install_kfp_package=False)
def gate(evaluation: Input[Artifact], threshold: float, require_better: bool = False) -> bool:
    """Decide whether the model may be deployed, and say why.

    Args:
        evaluation: The results of the evaluation.
        threshold: Least accuracy on the test split.
        require_better: Refuse also a model that is less accurate than the best classical baseline.

    Returns:
        Output: True when the model may be deployed.
    """
    import json
    import logging
    from pathlib import Path

    from quantum_db.stages.gate import decide

    result = json.loads((Path(evaluation.path) / "evaluation.json").read_text())
    decision = decide(result, threshold, require_better)
    logging.info(decision.reason)
    return decision.promote
