"""Read Wikipedia dumps and page views: articles as plain text, and titles with their views."""
