# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
"""Contains endpoint functions for accessing the API"""
