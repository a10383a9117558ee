"""The model server: one trained model behind HTTP.

`app.create_app(saved_model)` builds the application, `server.serve(model_dir, host, port)` runs it. Next to its own
routes the server speaks the REST form of the Open Inference Protocol v2
(https://github.com/kserve/open-inference-protocol). `pyfunc_model.py` is the same model for MLflow's own servers.
"""
