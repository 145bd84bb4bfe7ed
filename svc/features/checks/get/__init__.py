"""GET /api/v1/checks/{id}"""
