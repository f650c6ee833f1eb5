"""One file a verb. Each names its `command`; what is heavy is imported when the verb runs."""
