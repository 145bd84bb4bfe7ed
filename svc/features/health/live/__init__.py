"""GET /health"""
