from django.conf import settings
from django.contrib import admin
from django.urls import path
from django.views.static import serve

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("notes/", views.notes),
    path("upload/", views.upload),
    path("stream/", views.stream),
    path("fail/", views.fail),
    path("files/<path:path>", serve, {"document_root": settings.DATA}),
]
