"""GET /api/v1/configurations"""
