"""DELETE /api/v1/applications/{id}"""
