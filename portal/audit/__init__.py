"""What happened, for ever: one event per thing that matters, written in the transaction of the thing itself."""
