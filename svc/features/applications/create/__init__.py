"""POST /api/v1/applications"""
