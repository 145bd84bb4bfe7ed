"""DELETE /api/v1/configurations/{id}"""
