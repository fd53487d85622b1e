"""What a command line may say: the options that verbs share, and the variables that stand for options."""
