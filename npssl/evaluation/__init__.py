"""Is the representation any good: neighbours, and agreement with what people say."""
