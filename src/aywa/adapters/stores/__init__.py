"""The databases behind the store's port, one package each; refuses to know what the documents mean."""
