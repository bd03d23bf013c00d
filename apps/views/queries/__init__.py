"""The reading half of the views: each module answers one kind of question; nothing here changes state."""
