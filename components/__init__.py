"""The Kubeflow Pipelines face of the stages: one folder per stage, each a signature and one call."""
