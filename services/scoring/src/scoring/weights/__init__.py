"""What each indicator counts for in the loyalty index: versions, each valid from the moment it was set."""
