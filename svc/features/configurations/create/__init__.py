"""POST /api/v1/configurations"""
