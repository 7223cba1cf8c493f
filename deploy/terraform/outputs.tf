output "rotation_lambda_arns" {
  description = "ARNs of the functions, for rotation_lambda_arn of a secret's rotation."
  value       = { for id in keys(var.functions) : id => aws_lambda_function.function[id].arn }
}

output "role_arns" {
  description = "ARNs of the functions' roles, for the policies of keys and of secrets."
  value       = { for id in keys(var.functions) : id => aws_iam_role.function[id].arn }
}

output "log_group_name" {
  description = "Name of the functions' log group."
  value       = aws_cloudwatch_log_group.functions.name
}
