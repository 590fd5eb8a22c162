"""The HTTP edge: translates requests into tasks and events into bytes; decides nothing."""
