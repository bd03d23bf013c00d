"""The Django applications: runtime ← views ← pipes ← sessions (imports go leftwards only)."""
