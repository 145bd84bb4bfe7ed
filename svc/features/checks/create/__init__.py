"""POST /api/v1/checks"""
