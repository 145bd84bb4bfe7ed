"""DELETE /api/v1/checks/{id}"""
