"""GET /api/v1/configurations/{id}/revisions/{revision}"""
