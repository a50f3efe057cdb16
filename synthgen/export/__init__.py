"""What goes out: a trained model in the formats of others."""
