"""GET /api/v1/checks"""
