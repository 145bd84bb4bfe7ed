"""GET /health/ready"""
