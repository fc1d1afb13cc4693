"""What may refuse a call: rates and budgets."""
