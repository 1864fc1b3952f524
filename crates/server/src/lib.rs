//! The node: listener, request pipeline, adapters, configuration, composition root, shutdown.
