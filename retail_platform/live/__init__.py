"""Tables beside the hours: micro-batches of topics, every minute where they are switched on."""
