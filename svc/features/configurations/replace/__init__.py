"""PUT /api/v1/configurations/{id}"""
