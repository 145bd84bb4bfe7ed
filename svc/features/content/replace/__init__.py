"""PUT /api/v1/applications/{id}/content"""
