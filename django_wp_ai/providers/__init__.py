"""Who answers: one seam, a file for each vendor's wire."""
