"""The release record's approvals, as values and rules."""
