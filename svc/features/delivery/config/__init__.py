"""GET /api/v1/config"""
