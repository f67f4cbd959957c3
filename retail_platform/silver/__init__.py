"""Silver: typed, keyed, judged tables that Bronze hours are merged into."""
