"""What must be told: e-mail and partner events, through an outbox. Empty until there is something to tell."""
