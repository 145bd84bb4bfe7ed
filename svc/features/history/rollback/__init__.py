"""POST /api/v1/configurations/{id}/rollback"""
