"""`{% load shown %}`: how values look, as filters for templates. See `jobs.admin.shown`."""

from __future__ import annotations

from django import template

from jobs.admin import shown
from jobs.logs.dropped import farewell
from jobs.quantities import human_bytes

register = template.Library()
register.filter("badge", shown.badge)
register.filter("span", shown.span)
register.filter("ran_for", shown.ran_for)
register.filter("moment", shown.moment)
register.filter("ago", shown.ago)
register.filter("shortened", shown.shortened)
register.filter("pretty", shown.pretty)
register.filter("human_bytes", human_bytes)
register.filter("farewell", farewell)
