"""A simulated fleet: hosts that mount made-up storage and speak the real ingestion API, for a first look and for screenshots."""
