"""POST /api/v1/applications/{id}/rollback"""
