"""The HTTP side of the gateway: IonQ's API v0.4 over the ledger. `app.create_app(service)` builds the application."""
