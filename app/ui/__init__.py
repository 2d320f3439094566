"""The desktop viewer. No other package imports Qt."""
