"""PUT /api/v1/checks/{id}"""
