"""PATCH /api/v1/configurations/{id}"""
