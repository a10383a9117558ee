"""The routes of the gateway; each module has one function that makes its router."""
