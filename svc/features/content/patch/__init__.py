"""PATCH /api/v1/applications/{id}/content"""
