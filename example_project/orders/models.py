from django.conf import settings
from django.db import models

from example_project.catalog.models import Product


class Order(models.Model):
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    placed = models.DateTimeField()
    status = models.CharField(max_length=10, default="open")
    total = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    note = models.TextField(blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["status", "placed"], name="orders_by_status")]

    def __str__(self) -> str:
        return f"order {self.pk}"


class OrderLine(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT)
    quantity = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"{self.quantity} of {self.product}"


class Invoice(models.Model):
    order = models.OneToOneField(Order, models.PROTECT)
    number = models.CharField(max_length=20, unique=True)
    due_date = models.DateField(null=True)

    def __str__(self) -> str:
        return self.number
